from . import libraries as libraries
from . import peak as peak
from . import threads as threads
from . import timing as timing
