"""What can be said of a claim, in both studies, and the kinds of findings."""

SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_COMPUTED = "supported", "not supported", "undecided", "not computed"

GENERAL = "general"  # the findings of a study of any form; those of the paper's form name no kind
