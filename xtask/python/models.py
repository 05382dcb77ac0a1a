"""What the scripts have in common that compare models: which ones, and how far apart logits may be."""

import sys

import transformers

TOLERANCE = 1e-3


def asked(usage):
    """The program and the models on the command line; without models the script ends with its usage."""
    if len(sys.argv) < 3:
        sys.exit(usage)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return sys.argv[1:]


def check_close(worst):
    """Ends the script if the largest difference of logits is too large, or is none."""
    if not worst <= TOLERANCE:
        sys.exit(f"logits differ by {worst:.1e}, more than {TOLERANCE:.0e}")
