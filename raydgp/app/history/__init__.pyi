from . import exporting as exporting
from . import importers as importers
from . import packing as packing
from . import recording as recording
