from . import compare as compare
from . import leave_one_out as leave_one_out
from . import live as live
from . import trajectory as trajectory
