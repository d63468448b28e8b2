"""An OTP SMS service provider in a box: makes a code, brings it to a phone, checks it once."""

__version__ = "0.1.0"
