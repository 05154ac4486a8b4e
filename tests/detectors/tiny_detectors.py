"""Small detectors with random weights, saved to a folder as transformers saves real ones."""

from string import ascii_lowercase

import torch

KINDS = ("owlv2", "grounding-dino", "clipseg")
SIDE = 32


def save_detector(kind, folder):
    """Save a detector of a kind; its scores are spread between 0 and 1."""
    torch.manual_seed(0)
    model, processor = {"owlv2": _owlv2, "grounding-dino": _dino, "clipseg": _clipseg}[kind]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _clip_tokenizer():
    from transformers import CLIPTokenizer

    parts = [letter + end for end in ("", "</w>") for letter in f"{ascii_lowercase}."]
    parts += ["<|startoftext|>", "<|endoftext|>"]
    vocab = {part: number for number, part in enumerate(parts)}
    text = {"vocab_size": len(vocab), "bos_token_id": len(vocab) - 2}
    ends = dict.fromkeys(("eos_token_id", "pad_token_id"), len(vocab) - 1)
    return CLIPTokenizer(vocab=vocab, merges=[]), text | ends


def _layers(count):
    sizes = dict.fromkeys(("hidden_size", "intermediate_size"), 16)
    return sizes | {"num_hidden_layers": count, "num_attention_heads": 2}


def _owlv2():
    from transformers import Owlv2Config, Owlv2ForObjectDetection, Owlv2Processor
    from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil

    tokenizer, text = _clip_tokenizer()
    vision = _layers(1) | {"image_size": SIDE, "patch_size": 4}
    config = Owlv2Config(text_config=_layers(1) | text, vision_config=vision, projection_dim=16)
    model = Owlv2ForObjectDetection(config)
    with torch.no_grad():  # else most boxes have no area
        model.box_head.dense2.weight *= 0.05
    images = Owlv2ImageProcessorPil(size={"height": SIDE, "width": SIDE})
    return model, Owlv2Processor(images, tokenizer)


def _dino():
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoProcessor,
        SwinConfig,
    )
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )

    parts = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", *ascii_lowercase]
    parts += [f"##{letter}" for letter in ascii_lowercase]
    tokenizer = BertTokenizer(vocab={part: number for number, part in enumerate(parts)})
    swin = {"image_size": SIDE, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 1]}
    config = GroundingDinoConfig(
        backbone_config=SwinConfig(**swin, window_size=4, out_indices=[1, 2]),
        text_config=BertConfig(vocab_size=len(parts), **_layers(1)),
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_queries=20,
        num_feature_levels=2,
        max_text_len=32,
    )
    images = GroundingDinoImageProcessorPil(size={"shortest_edge": SIDE, "longest_edge": 2 * SIDE})
    return GroundingDinoForObjectDetection(config), GroundingDinoProcessor(images, tokenizer)


def _clipseg():
    from transformers import CLIPSegConfig, CLIPSegForImageSegmentation, CLIPSegProcessor
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    tokenizer, text = _clip_tokenizer()
    config = CLIPSegConfig(
        text_config=_layers(2) | text,
        vision_config=_layers(2) | {"image_size": SIDE, "patch_size": 4},
        projection_dim=16,
        reduce_dim=8,
        extract_layers=[0, 1],
        decoder_num_attention_heads=2,
        decoder_intermediate_size=16,
    )
    images = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE})
    return CLIPSegForImageSegmentation(config), CLIPSegProcessor(images, tokenizer)
