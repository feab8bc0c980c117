from . import contender as contender
from . import frameworks as frameworks
from . import latency as latency
