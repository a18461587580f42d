"""Every rule of the network study alone, as in test_rules.py."""

from tests.workflow.conftest import NETWORK_SMALL
from tests.workflow.test_rules import remake_each
from tests.workspaces import with_results_of


def test_every_rule_of_the_network_study_makes_its_outputs_from_its_inputs_alone(network_run, workspace):
    made = with_results_of(network_run, workspace("network_rules"))
    # The parts that `network` joins are gone once it has joined them.
    rules, wrong = remake_each(made, NETWORK_SMALL, without=["network"])
    assert wrong == []
    assert (
        len({"ridge", "quadratic", "l1_strength", "gradients", "cramer_rao", "shift_test"} & set(rules)) == 6
    )
