"""The possible verdicts on a claim, in both studies."""

SUPPORTED, NOT_SUPPORTED, UNDECIDED, NOT_COMPUTED = "supported", "not supported", "undecided", "not computed"
