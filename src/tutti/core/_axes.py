"""The names of axes, in one place, as they stand in shape annotations.

member    slots of a stack: settings × streams, streams fastest
setting   hyper-parameter settings
stream    (seed, fold) pairs: settings of one stream share rows, batch order, masks and initial weights
batch     samples of one step or one prediction
rows      samples of the whole data set
number    numeric features             category  categorical features (integer codes)
feature   features after the input layer
inputs, outputs   of one layer         out       outputs of the network
channel   features at each place of a grid, before its axes
space     length; height, width; depth, height, width: the places of a signal, an image, a volume
time      steps of a sequence           item      members of a set
query, key   of attention: who looks, what is looked at
weights   all parameters of one member, flat
node      of a graph, or of a disjoint union of graphs        graph   of such a union
edge      from a source node to a target node                 looped  edges with one loop at each node
source, target   nodes at an edge's two ends                  entry   of a sparse matrix
pair      two nodes of a graph, joined or not                 kept      of what was given, what stays
head      of attention                 lead      any leading axes: each is one more copy of a graph
"""
