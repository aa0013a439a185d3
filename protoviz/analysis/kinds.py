"""The `kind` of findings that metrics/findings.json holds."""

GENERAL = "general"  # the findings of a study of any form; those of the paper's form name no kind
