from .base import Measurer as Measurer
from .local import LocalMeasurer as LocalMeasurer
