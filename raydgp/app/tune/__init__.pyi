from .planning import plan as plan
from .runs import Outcome as Outcome
from .runs import read as read
from .runs import run as run
