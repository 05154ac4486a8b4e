"""All masks of many images, here or on a cluster; what is complete is not done again."""
