"""The commands as functions: tune, deploy, compare, pretrain, record, examine."""
