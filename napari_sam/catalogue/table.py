"""The table of published models; None stands for what is not published."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import napari_sam
from napari_sam.engine.spec import SAM2_SPEC, SAM_SPEC, ModelSpec


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A published file of weights."""

    name: str  # for messages
    file_name: str  # in the models folder
    page: str  # web page about the model
    url: str | None = None  # None if the file has to be downloaded by hand from the page
    sha256: str | None = None  # in hexadecimal, like the next one
    xxh128: str | None = None
    size_bytes: int | None = None  # of the file

    @property
    def known_hash(self) -> str | None:
        """The stronger of the checksums, as ``algorithm:digits``; None if there is none."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return None if self.xxh128 is None else f"xxh128:{self.xxh128}"


@dataclass(frozen=True, kw_only=True)
class PublishedModel(PublishedFile):
    """A published model; its name is unique, and micro-sam's as well unless that has another."""

    variant: str  # vit_t, vit_b, vit_l, vit_h, or hiera_tiny to hiera_large
    good_for: str  # for the user who chooses
    license: str  # for the user who chooses
    citation: str  # for the user who chooses
    parameters: int  # number of weights
    micro_sam_name: str | None = None  # where micro-sam has another name for it
    hugging_face: str | None = None  # repository with the same weights in another layout
    bundled: Path | None = None  # the file inside the package
    spec: ModelSpec = SAM_SPEC  # its sizes
    decoder: PublishedFile | None = None  # its instance decoder, which lies beside it

    @property
    def file_names(self) -> tuple[str, str]:
        """The publisher's name of the file, and micro-sam's."""
        return self.file_name, self.micro_sam_name or self.name


_PARAMETERS: Final = {
    "vit_t": 9_808_452,
    "vit_b": 93_735_472,
    "vit_l": 312_342_832,
    "vit_h": 641_090_608,
    "hiera_tiny": 38_962_498,
    "hiera_small": 46_060_354,
    "hiera_base_plus": 80_850_178,
    "hiera_large": 224_446_642,
}
_BUNDLED_NAME: Final = "mobile_sam"
_LIGHT: Final = "cells and nuclei in light microscopy: fluorescence, phase contrast"
_PATHOLOGY: Final = (
    "nuclei in histopathology: stained sections of tissue",
    "Griebel et al., Segment Anything for Histopathology, 2025, arXiv:2502.00408",
    "patho-sam",
)
_MEDICAL: Final = (
    "organs and structures in CT, MR, ultrasound and other medical images",
    "Archit et al., MedicoSAM: Robust Improvement of SAM for Medical Imaging, 2025, "
    "arXiv:2501.11734",
    "medico-sam",
)
_ELECTRON: Final = "mitochondria, nuclei and other organelles in electron microscopy"


def _meta(variant: str, file_name: str, sha256: str, size_bytes: int, size: str) -> PublishedModel:
    times = round(_PARAMETERS[variant] / _PARAMETERS["vit_t"])
    return PublishedModel(
        name=variant,
        variant=variant,
        file_name=file_name,
        good_for=f"natural images, general use; {times} times as large as {_BUNDLED_NAME}, "
        "and slower",
        license="Apache-2.0",
        citation="Kirillov et al., Segment Anything, ICCV 2023, arXiv:2304.02643",
        parameters=_PARAMETERS[variant],
        page="https://github.com/facebookresearch/segment-anything",
        url=f"https://dl.fbaipublicfiles.com/segment_anything/{file_name}",
        sha256=sha256,
        size_bytes=size_bytes,
        hugging_face=f"facebook/sam-vit-{size}",
    )


def _sam2(size: str, good_for: str, sha256: str, size_bytes: int) -> PublishedModel:
    variant = f"hiera_{size}"
    file_name = f"sam2.1_{variant}.pt"
    return PublishedModel(
        name=f"sam2.1_{variant}",
        variant=variant,
        file_name=file_name,
        good_for=good_for,
        license="Apache-2.0",
        citation="Ravi et al., SAM 2: Segment Anything in Images and Videos, ICLR 2025, "
        "arXiv:2408.00714",
        parameters=_PARAMETERS[variant],
        page="https://github.com/facebookresearch/sam2",
        url=f"https://dl.fbaipublicfiles.com/segment_anything_2/092824/{file_name}",
        sha256=sha256,
        size_bytes=size_bytes,
        hugging_face=f"facebook/sam2.1-hiera-{size.replace('_', '-')}",
        spec=SAM2_SPEC,
    )


def _micro_sam(name: str, place: str, xxh128: str, decoder_xxh128: str) -> PublishedModel:
    variant = name[:5]
    files = f"https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io/{place}/files/{variant}"
    model = PublishedModel(
        name=name,
        variant=variant,
        file_name=f"{name}.pt",
        good_for=_LIGHT if name.endswith("_lm") else _ELECTRON,
        license="CC-BY-4.0",
        citation="Archit et al., Segment Anything for Microscopy, Nature Methods 2025, "
        "doi:10.1038/s41592-024-02580-4",
        parameters=_PARAMETERS[variant],
        page=f"https://bioimage.io/#/?id={place.split('/')[0]}",
        url=f"{files}.pt",
        xxh128=xxh128,
    )
    return _with_decoder(model, f"{files}_decoder.pt", decoder_xxh128)


def _gwdg(name: str, codes: tuple[str, str], digits: tuple[str, str]) -> PublishedModel:
    variant = name[:5]
    good_for, citation, repository = _PATHOLOGY if name.endswith("_histopathology") else _MEDICAL
    url, decoder_url = (f"https://owncloud.gwdg.de/index.php/s/{code}/download" for code in codes)
    model = PublishedModel(
        name=name,
        variant=variant,
        file_name=f"{name}.pt",
        good_for=good_for,
        license="not stated",
        citation=citation,
        parameters=_PARAMETERS[variant],
        page=f"https://github.com/computational-cell-analytics/{repository}",
        url=url,
        xxh128=digits[0],
    )
    return _with_decoder(model, decoder_url, digits[1])


def _with_decoder(model: PublishedModel, url: str, xxh128: str) -> PublishedModel:
    """Add the instance decoder of a model, which is a file of its own."""
    name = f"{model.name}_decoder"
    decoder = PublishedFile(
        name=name, file_name=f"{name}.pt", page=model.page, url=url, xxh128=xxh128
    )
    return replace(model, decoder=decoder)


BUNDLED: Final = PublishedModel(
    name=_BUNDLED_NAME,
    variant="vit_t",
    file_name="mobile_sam.safetensors",
    good_for="anything, right away: small, fast, bundled with the plugin",
    license="Apache-2.0",
    citation="Zhang et al., Faster Segment Anything, 2023, arXiv:2306.14289",
    parameters=_PARAMETERS["vit_t"],
    page="https://github.com/ChaoningZhang/MobileSAM",
    bundled=Path(napari_sam.__file__).parent / "model" / "weights" / "mobile_sam.safetensors",
)
"""The bundled model, which needs no download."""

MODELS: Final[tuple[PublishedModel, ...]] = (
    BUNDLED,
    _meta(
        "vit_b",
        "sam_vit_b_01ec64.pth",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
        "base",
    ),
    _meta(
        "vit_l",
        "sam_vit_l_0b3195.pth",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        1_249_524_607,
        "large",
    ),
    _meta(
        "vit_h",
        "sam_vit_h_4b8939.pth",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        2_564_550_879,
        "huge",
    ),
    _sam2(
        "tiny",
        "natural images and films: the fastest SAM 2.1",
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        156_008_466,
    ),
    _sam2(
        "small",
        "natural images and films: SAM 2.1, hardly larger than tiny",
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        184_416_285,
    ),
    _sam2(
        "base_plus",
        "natural images and films: SAM 2.1, twice as large as tiny",
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        323_606_802,
    ),
    _sam2(
        "large",
        "natural images and films: the most accurate SAM 2.1; six times as large as tiny",
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        898_083_611,
    ),
    replace(
        BUNDLED,
        bundled=None,
        name="mobile_sam_original",
        file_name="mobile_sam.pt",
        micro_sam_name="vit_t",  # to us, that is the variant of both MobileSAMs
        good_for="natural images: MobileSAM as its authors published it",
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        size_bytes=40_728_226,
    ),
    _micro_sam(
        "vit_t_lm",
        "faithful-chicken/1.1",
        "72ec5074774761a6e5c05a08942f981e",
        "3e914a5f397b0312cdd36813031f8823",
    ),
    _micro_sam(
        "vit_b_lm",
        "diplomatic-bug/1.2",
        "fe9252a29f3f4ea53c15a06de471e186",
        "708b15ac620e235f90bb38612c4929ba",
    ),
    _micro_sam(
        "vit_l_lm",
        "idealistic-rat/1.2",
        "017f20677997d628426dec80a8018f9d",
        "2faeafa03819dfe03e7c46a44aaac64a",
    ),
    _micro_sam(
        "vit_t_em_organelles",
        "greedy-whale/1",
        "253474720c497cce605e57c9b1d18fd9",
        "8f897c7bb93174a4d1638827c4dd6f44",
    ),
    _micro_sam(
        "vit_b_em_organelles",
        "noisy-ox/1.2",
        "f3bf2ed83d691456bae2c3f9a05fb438",
        "bb6398956a6b0132c26b631c14f95ce2",
    ),
    _micro_sam(
        "vit_l_em_organelles",
        "humorous-crab/1.2",
        "810b084b6e51acdbf760a993d8619f2d",
        "334877640bfdaaabce533e3252a17294",
    ),
    _gwdg(
        "vit_b_histopathology",
        ("sBB4H8CTmIoBZsQ", "KO9AWqynI7SFOBj"),
        ("ffd1a2cd84570458b257bd95fdd8f974", "6a66194dcb6e36199cbee2214ecf7213"),
    ),
    _gwdg(
        "vit_l_histopathology",
        ("IZgnn1cpBq2PHod", "oIs6VSmkOp7XrKF"),
        ("b591833c89754271023e901281dee3f2", "46aab7765d4400e039772d5a50b55c04"),
    ),
    _gwdg(
        "vit_h_histopathology",
        ("L7AcvVz7DoWJ2RZ", "1qAKxy5H0jgwZvM"),
        ("bd1856dafc156a43fb3aa705f1a6e92e", "3ed9f87e46ad5e16935bd8d722c8dc47"),
    ),
    _gwdg(
        "vit_b_medical_imaging",
        ("f5Ol4FrjPQWfjUF", "ahd3ZhZl2e0RIwz"),
        ("40169f1e3c03a4b67bff58249c176d92", "9e498b12f526f119b96c88be76e3b2ed"),
    ),
    PublishedModel(
        name="medsam",
        variant="vit_b",
        file_name="medsam_vit_b.pth",
        good_for="CT, MR, ultrasound and other medical images, from boxes",
        license="Apache-2.0",
        citation="Ma et al., Segment Anything in Medical Images, Nature Communications 2024, "
        "arXiv:2304.12306",
        parameters=_PARAMETERS["vit_b"],
        page="https://github.com/bowang-lab/MedSAM",
        sha256="34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74",
        size_bytes=375_049_145,
        # Not the authors' own wanglab/medsam-vit-base, which is older than this file.
        hugging_face="flaviagiammarino/medsam-vit-base",
    ),
)
"""All models of the catalogue, the default first."""


def find_model(name: str) -> PublishedModel:
    """Return the model of this name; raise ValueError with all names if there is none."""
    for model in MODELS:
        if model.name == name:
            return model
    names = ", ".join(model.name for model in MODELS)
    raise ValueError(f"No published model is called {name!r}; choose one of {names}.")


_DISPLAY_NAMES: Final = {
    BUNDLED.name: "MobileSAM",
    "mobile_sam_original": "MobileSAM (original)",
    "sam2.1_hiera_tiny": "SAM 2.1 tiny",
    "sam2.1_hiera_small": "SAM 2.1 small",
    "sam2.1_hiera_base_plus": "SAM 2.1 base+",
    "sam2.1_hiera_large": "SAM 2.1 large",
}


def display_name(name: str) -> str:
    """Return the name of a model as windows show it; commands take the name itself."""
    return _DISPLAY_NAMES.get(name, name)
