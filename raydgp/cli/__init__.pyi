from . import console as console
from . import display as display
from . import inspection as inspection
from . import live as live
from . import profiling as profiling
from .commands import group as group
from .commands import main as main
