"""Our entry of the menu that napari opens by a right click on a layer."""

from typing import Final

from app_model.expressions import parse_expression
from app_model.types import CommandRule, MenuItem
from napari._app_model import get_app_model

from napari_sam._distribution import DISTRIBUTION

_MENU: Final = "napari/layers/context"
_GROUP: Final = "1_segment"
_WHEN: Final = "active_layer_type == 'image'"
_COMMAND: Final = CommandRule(id=f"{DISTRIBUTION}.segment_image", title="Segment with SAM live")


def offer_in_layer_menu() -> None:
    """Offer to segment an image layer in its menu, from now on and in all windows.

    Reason for a private function of napari: plugins cannot contribute to this menu by their
    manifest. Remove it when `napari/layers/context` is one of the menus that they can.
    """
    app = get_app_model()
    if _COMMAND.id in app.commands and _MENU in app.menus:
        item = MenuItem(command=_COMMAND, when=parse_expression(_WHEN), group=_GROUP)
        if item not in app.menus.get_menu(_MENU):
            app.menus.append_menu_items([(_MENU, item)])
