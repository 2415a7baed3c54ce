"""Pages and pictures of a run, made from its folder alone."""

from tutti.report._page import write_report as write_report
from tutti.report._picture import write_picture as write_picture
