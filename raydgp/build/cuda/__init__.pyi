from . import compiler as compiler
from . import executable as executable
