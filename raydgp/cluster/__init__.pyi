from .cluster import Cluster as Cluster
from .functions import function_backend as function_backend
from .layer import LayerOutcome as LayerOutcome
from .searcher import RaydgpSearcher as RaydgpSearcher
from .trainable import MeasureBatch as MeasureBatch
