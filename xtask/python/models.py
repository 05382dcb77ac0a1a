"""Shared by scripts that compare models: their arguments, and the tolerance of logits."""

import sys

import transformers

TOLERANCE = 1e-3


def asked(usage):
    """The program and the models on the command line; without models, prints the usage and ends."""
    if len(sys.argv) < 3:
        sys.exit(usage)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return sys.argv[1:]


def check_close(worst):
    """Ends the script if the largest difference of logits is too large or NaN."""
    if not worst <= TOLERANCE:
        sys.exit(f"logits differ by {worst:.1e}, more than {TOLERANCE:.0e}")
