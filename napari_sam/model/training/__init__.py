"""Fine-tuning: simulated prompts, losses, adapters of the image encoder, and the loop over them."""
