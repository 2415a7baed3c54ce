"""The names of axes, in one place, as they stand in shape annotations.

member    slots of a stack: settings × streams, streams fastest
setting   hyper-parameter settings
stream    (seed, fold) pairs: settings of one stream share rows, batch order, masks and initial weights
batch     samples of one step or one prediction
rows      samples of the whole data set
number    numeric features             category  categorical features (integer codes)
feature   features after the input layer
inputs, outputs   of one layer         out       outputs of the network
weights   all parameters of one member, flat
"""
