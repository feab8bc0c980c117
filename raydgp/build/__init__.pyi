from . import compile as compile
from . import cuda as cuda
