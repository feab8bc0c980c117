from . import format as format
from . import inputs as inputs
from . import reading as reading
from . import writing as writing
