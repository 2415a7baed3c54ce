"""The courses' experiments: each a short function with its claim and its measured answer."""

from tutti.lab._palindrome import CLAIM as CLAIM
from tutti.lab._palindrome import NETWORKS as NETWORKS
from tutti.lab._palindrome import Learned as Learned
from tutti.lab._palindrome import Palindrome as Palindrome
from tutti.lab._palindrome import draw_sequences as draw_sequences
from tutti.lab._palindrome import palindrome as palindrome
