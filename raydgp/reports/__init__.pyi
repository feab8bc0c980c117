from .page import html as html
from .page import write as write
