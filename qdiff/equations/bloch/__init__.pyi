from .equation import BlochModel as BlochModel
