from . import format as format
from . import inputs as inputs
from . import make as make
from . import merging as merging
from . import reading as reading
from . import runner as runner
from . import script as script
from . import writing as writing
