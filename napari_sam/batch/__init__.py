"""Generate the masks of many images, here or on a cluster, and skip finished images."""
