"""What metrics/findings.json says it holds, as `kind`."""

GENERAL = "general"  # the findings of a study of any form; those of the paper's form name no kind
