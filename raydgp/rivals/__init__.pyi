from . import contender as contender
from . import latency as latency
from . import names as names
from . import ways as ways
