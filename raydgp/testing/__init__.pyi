from .cost_model import CostModelContract as CostModelContract
from .faults import FaultRates as FaultRates
from .faults import FaultyMeasurer as FaultyMeasurer
from .measurer import MeasurerContract as MeasurerContract
from .pretrained import PretrainedKindContract as PretrainedKindContract
from .strategy import StrategyContract as StrategyContract
from .template import TemplateContract as TemplateContract
