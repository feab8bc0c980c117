from . import databases as databases
from . import folder as folder
from . import importing as importing
from . import lowering as lowering
from . import sources as sources
