from .planning import plan as plan
from .runs import tune as tune
