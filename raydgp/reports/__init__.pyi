from . import run_figures as run_figures
from . import study_figures as study_figures
from .page import html as html
from .page import write as write
