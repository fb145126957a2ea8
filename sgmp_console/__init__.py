"""The operator console of SGMP, the Smart Grid Management Platform."""
