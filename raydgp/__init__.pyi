from . import cluster as cluster
from . import search as search
from . import space as space
from .app.api import deploy as deploy
from .app.api import load as load
from .app.api import tune as tune
from .app.functions import tune_function as tune_function
from .app.run import Run as Run
from .templates.spaces import config_space as config_space
from .workloads import Conv2d as Conv2d
from .workloads import Dense as Dense
from .workloads import DepthwiseConv2d as DepthwiseConv2d
from .workloads import GroupConv2d as GroupConv2d
from .workloads import zoo as zoo

__version__: str
