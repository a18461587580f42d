# The front door of the repository; workflow/Snakefile is the workflow itself, and what others import.
include: "workflow/Snakefile"


# The first rule of an included file is no default target.
workflow.default_target = "all"
