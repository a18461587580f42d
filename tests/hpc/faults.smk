# Jobs that a scheduler kills at their first attempt, with the resources of the workflow's rules.
include: "../../workflow/rules/resources.smk"


rule all:
    input:
        "memory.txt",
        "time.txt",


rule memory:
    output:
        "memory.txt",
    log:
        "logs/memory.log",
    threads: 1
    resources:
        mem_mb=growing(800),
        runtime=growing(10),
    shell:
        """
        (
            python -c 'import time; held = b"x" * 1_000_000_000; time.sleep(60 if {resources.mem_mb} < 1_000 else 2)'
            echo {resources.mem_mb} >{output}
        ) 2>{log}
        """


rule time:
    output:
        "time.txt",
    log:
        "logs/time.log",
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(1),
    shell:
        """
        (
            sleep $(({resources.runtime} > 1 ? 1 : 600))
            echo {resources.runtime} >{output}
        ) 2>{log}
        """
