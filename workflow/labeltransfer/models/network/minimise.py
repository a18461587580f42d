"""Levenberg-Marquardt in the dual, for many small problems at once with fewer residuals than parameters.

A problem is one row of the parameters q (C, n_parameter).  The objective has

- ``evaluate(q)``: a NamedTuple of arrays with one row per problem, among them ``q``, ``rho`` (residuals),
  ``pen`` (weights of the squared parameters) and ``loss``; |rho|^2 + sum(pen q^2) is, or touches, the loss;
- ``linearise(state)``: the Jacobian J of rho, with ``times``, ``transposed_times`` and ``solve(metric, right)``
  for (1 + J metric^-1 J^T) z = right, of one row per residual;
- ``metric(jacobian, damping)``: damping + pen, and the step that the penalty alone would make;
- ``pick(rows)``: the objective of some of the problems.
"""

import numpy as np

# First damping: found by trial, for speed only.
FIRST_DAMPING = 0.05
# A problem is left alone above this damping,
MOST_DAMPING = 1e12
# or when an accepted step lowers its loss by less than this fraction.
LOSS_TOLERANCE = 1e-6


def propose(state, damping, objective):
    """One damped Gauss-Newton step, and the loss that the quadratic model expects of it.

    The step minimises |rho + J d|^2 + sum(pen (q + d)^2) + damping |d|^2.
    """
    jacobian = objective.linearise(state)
    metric, shrink = objective.metric(jacobian, damping)
    # the residuals of the linearised problem after the step
    linear = jacobian.solve(metric, state.rho + jacobian.times(shrink))
    step = shrink - jacobian.transposed_times(linear) / metric
    now = (state.rho**2).sum(axis=1) + (state.pen * state.q**2).sum(axis=1)
    then = (linear**2).sum(axis=1) + (state.pen * (state.q + step) ** 2).sum(axis=1)
    return step, now - then


def minimise(q, objective, n_iterations):
    """Parameters and losses after at most so many steps from q; the damping of each problem is its own.

    Parameters
    ----------
    q : (C, n_parameter) array
        Where to start; not modified.
    objective : object
        As described above.
    n_iterations : int
        Steps at most.

    Returns
    -------
    q : (C, n_parameter) array
    loss : (C,) array
    """
    state = objective.evaluate(q)
    active = np.arange(len(q))
    final, loss = q.copy(), state.loss.copy()
    damping, growth = np.full(len(q), FIRST_DAMPING), np.full(len(q), 2.0)
    for _ in range(n_iterations):
        step, expected = propose(state, damping, objective)
        trial = objective.evaluate(state.q + step)
        with np.errstate(over="ignore", invalid="ignore"):
            gain = np.clip((state.loss - trial.loss) / np.maximum(expected, 1e-300), -1.0, 1.0)
        better = np.isfinite(trial.loss) & (trial.loss < state.loss)
        done = better & (state.loss - trial.loss < LOSS_TOLERANCE * state.loss)
        # Nielsen's rule: less damping the better the quadratic model was, ever more after failures
        damping *= np.where(better, np.maximum(1 / 10, 1 - (2 * gain - 1) ** 3), growth)
        growth = np.where(better, 2.0, 2 * growth)
        state = _chosen(better, trial, state)
        final[active], loss[active] = state.q, state.loss
        left = ~done & (damping < MOST_DAMPING)
        if not left.all():
            active, damping, growth = active[left], damping[left], growth[left]
            state, objective = type(state)(*(value[left] for value in state)), objective.pick(left)
        if not len(active):
            break
    return final, loss


def _chosen(better, trial, state):
    """The trial where it is better, else the state."""
    if better.all():
        return trial
    return type(state)(
        *(
            np.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(trial, state, strict=True)
        )
    )
