"""Messages of all parts of a session reach one listener."""

from napari_sam.session import AnnotationSession


def test_a_script_hears_every_message_of_a_session():
    session, messages = AnnotationSession(), []
    session.notifier.warned.connect(messages.append)
    session.batch_prompts.abort("Another image was chosen")  # nothing to abort
    assert messages == []
    session.notifier.warn("first")
    session.notifier.warn("second")
    assert messages == ["first", "second"]
    session.close()
