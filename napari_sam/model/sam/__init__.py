"""The networks of SAM and MobileSAM under their published names."""
