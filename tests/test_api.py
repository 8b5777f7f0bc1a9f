from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import CONTENTS, picture
from PIL import Image

import idfzip
from idfzip.container import idfz
from idfzip.container.effort import Effort
from idfzip.errors import FormatError, ModelError, UnsupportedImage
from idfzip.images import reader


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_come_back_and_never_grow(content, channels):
    pixels = picture(content, 33, 50, channels)
    data = idfzip.compress(pixels)
    np.testing.assert_array_equal(np.asarray(idfzip.decompress(data)).reshape(pixels.shape), pixels)
    assert len(data) <= pixels.size + 50


def test_a_smooth_picture_gets_small():
    pixels = picture("smooth", 64, 64, 3)
    assert len(idfzip.compress(pixels)) < 0.55 * pixels.size


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_arrays_of_all_layouts_and_depths_come_back(channels, dtype):
    pixels = picture("smooth", 20, 31, channels).astype(dtype)
    if dtype == np.uint16:
        pixels = pixels * 200 + picture("noise", 20, 31, 1)
    back = idfzip.decompress(idfzip.compress(pixels), as_array=True)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)


MODES = ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "PA", "F", "I", "I;16"]


@pytest.mark.parametrize("mode", MODES)
def test_pillow_images_come_back(mode):
    source = Image.fromarray(picture("smooth", 20, 30, 3))
    image = source.convert(mode) if mode not in ("LAB", "I;16") else Image.new(mode, (30, 20), 7)
    back = idfzip.decompress(idfzip.compress(image))
    assert back.mode == mode
    np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    if mode == "P":
        assert back.getpalette() == image.getpalette()


@pytest.mark.parametrize("mode", ["HSV", "La", "RGBa", "RGBX"])
def test_modes_that_no_file_holds_are_refused_by_name(mode):
    with pytest.raises(UnsupportedImage, match=f"mode {mode}: "):
        idfzip.compress(Image.new(mode, (3, 2)))


def test_a_transparent_colour_comes_back():
    image = Image.fromarray(picture("smooth", 20, 30, 3)).quantize(9)
    image.info["transparency"] = 3
    back = idfzip.decompress(idfzip.compress(image))
    assert back.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_a_profile_and_resolution_come_back():
    image = Image.fromarray(picture("smooth", 20, 30, 3))
    image.info.update(icc_profile=b"a profile", dpi=(300, 300))
    back = idfzip.decompress(idfzip.compress(image))
    assert back.info["icc_profile"] == b"a profile"
    assert back.info["dpi"] == pytest.approx((300, 300), rel=1e-3)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.int16),
        np.zeros((4, 4), np.uint32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4, 3), float),
    ],
    ids=str,
)
def test_other_arrays_are_refused(array):
    with pytest.raises(UnsupportedImage):
        idfzip.compress(array)


def test_a_model_of_other_channels_is_refused():
    with pytest.raises(ModelError, match="codes grey, the image is RGB"):
        idfzip.compress(np.zeros((4, 4, 3), np.uint8), model="grey")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_progressive_files_have_levels(channels):
    pixels = picture("smooth", 40, 50, channels)
    data = idfzip.compress(pixels, progressive=True)
    assert idfz.parse(data).levels == 6
    back = idfzip.decompress(data, as_array=True)
    np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)


def test_what_cannot_be_progressive_is_refused():
    deep = picture("smooth", 40, 50, 1).astype(np.uint16) * 200 + picture("noise", 40, 50, 1)
    for image in (deep, Image.new("P", (9, 9)), Image.new("1", (9, 9))):
        with pytest.raises(UnsupportedImage, match="can be progressive"):
            idfzip.compress(image, progressive=True)
    with pytest.raises(ModelError, match="model photo has no levels"):
        idfzip.compress(picture("smooth", 9, 9, 3), model="photo", progressive=True)


def test_threads_do_not_change_a_byte():
    pixels = picture("smooth", 300, 40, 3)
    one = idfzip.compress(pixels, threads=1)
    assert idfzip.compress(pixels, threads=4) == one
    assert len(idfz.parse(one).head.tiles) == 2


def test_lossy_pictures():
    pixels = np.concatenate([picture("smooth", 40, 48, 3), picture("noise", 40, 48, 1)], axis=2)
    sizes = []
    for quality in (20, 90):
        data = idfzip.compress(pixels, lossy=True, quality=quality)
        back = idfzip.decompress(data, as_array=True)
        np.testing.assert_array_equal(back[..., 3], pixels[..., 3])
        assert not np.array_equal(back, pixels)
        sizes.append(len(data))
    assert sizes[0] < sizes[1]
    levels = idfzip.compress(pixels, lossy=True, quality=90, progressive=True)
    assert idfz.parse(levels).levels > 1


@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_files_that_begin_with_a_lossy_picture(channels):
    pixels = picture("smooth", 33, 40, channels)
    data = idfzip.compress(pixels, lossy_first=True, quality=30)
    back = idfzip.decompress(data, as_array=True)
    np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)
    assert idfz.parse(data).levels == 2
    for name in ("lossy", "photo" if channels == 3 else "grey"):
        named = idfzip.compress(pixels, lossy_first=True, model=name)
        back = idfzip.decompress(named, as_array=True)
        np.testing.assert_array_equal(back.reshape(pixels.shape), pixels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 30}, "needs lossy"),
        ({"lossy": True, "quality": 0}, "1 to 100 expected"),
        ({"lossy": True, "lossy_first": True}, "does not go with"),
        ({"progressive": True, "lossy_first": True}, "does not go with"),
    ],
)
def test_options_of_loss_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        idfzip.compress(picture("smooth", 9, 9, 3), **options)


def test_what_cannot_be_lossy():
    with pytest.raises(UnsupportedImage, match="only grey and RGB"):
        idfzip.compress(np.zeros((9, 9), np.uint16), lossy=True)
    with pytest.raises(UnsupportedImage, match="cannot be lossy"):
        idfzip.compress(Image.new("F", (9, 9)), lossy=True)
    with pytest.raises(ModelError, match="is not lossy"):
        idfzip.compress(picture("smooth", 9, 9, 3), lossy=True, model="photo")


@pytest.mark.parametrize("region", [(1, 2, 3), (1.5, 0, 2, 2), 7, "1,0,2,2"])
def test_a_region_is_four_whole_numbers(region):
    data = idfzip.compress(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="whole numbers"):
        idfzip.decompress(data, region=region)


def test_what_is_asked_for_is_checked():
    grey = np.zeros((4, 4), np.uint8)
    for level in (0, 10, 2.5):
        with pytest.raises(ValueError, match="1 to 9 expected"):
            idfzip.compress(grey, level=level)
        with pytest.raises(ValueError, match="1 to 9 expected"):
            idfzip.pack({"a": grey}, level=level)
    with pytest.raises(TypeError, match="list: a Pillow image or a numpy array expected"):
        idfzip.compress([[0]])


def test_an_image_larger_than_pillow_opens_comes_back(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    image = Image.fromarray(picture("smooth", 30, 40, 3))
    assert idfzip.decompress(idfzip.compress(image)).tobytes() == image.tobytes()
    kept = idfz.store(b"no image", "TIFF")
    with pytest.raises(UnsupportedImage, match="a stored TIFF: cannot identify"):
        idfzip.decompress(kept)
    with pytest.raises(UnsupportedImage, match="exceeds limit"):
        idfzip.compress(Image.new("F", (30, 40)))


def test_more_pixels_are_decoded_where_that_is_asked_for():
    data = idfzip.compress(picture("smooth", 30, 40, 3))
    assert idfzip.decompress(data, max_pixels=1200).size == (40, 30)
    with pytest.raises(FormatError, match="the limit is 1199"):
        idfzip.decompress(data, max_pixels=1199)
    box = idfzip.pack({"a": picture("smooth", 300, 400, 3)})
    assert idfzip.unpack(box, max_pixels=120_000)["a"].size == (400, 300)
    with pytest.raises(FormatError, match=r"member a: .*the limit is 119999"):
        idfzip.unpack(box, max_pixels=119_999)


@pytest.mark.parametrize("mode", ["RGB", "CMYK", "LA"])
def test_an_orientation_is_not_applied(mode):
    image = Image.fromarray(picture("smooth", 30, 40, 3)).convert(mode)
    exif = Image.Exif()
    exif[274] = 6
    image.info["exif"] = exif.tobytes()
    back = idfzip.decompress(idfzip.compress(image))
    assert (back.mode, back.size, back.tobytes()) == (mode, image.size, image.tobytes())
    assert back.getexif()[274] == 6


def test_what_no_file_holds_is_said():
    image = Image.new("RGB", (3, 4))
    image.info["dpi"] = (2e8, 2e8)
    with pytest.raises(UnsupportedImage, match="too big to convert"):
        idfzip.compress(image)


def test_samples_of_what_is_stored_are_those_of_the_file():
    pixels = picture("noise", 9, 11, 3)
    head = b"P6\n11 9\n255\n"
    data = idfz.store(head + pixels.tobytes(), "PPM")
    np.testing.assert_array_equal(idfzip.decompress(data, as_array=True), pixels)
    with pytest.raises(UnsupportedImage, match="over 98 pixels"):
        idfzip.decompress(data, as_array=True, max_pixels=98)
    kept = idfz.store(b"GIF89a", "GIF")
    with pytest.raises(UnsupportedImage):
        idfzip.decompress(kept, as_array=True)


@pytest.mark.parametrize("most", [1, 15, 100, 254, 255, 1023, 65535])
@pytest.mark.parametrize("name", [b"P5", b"P6"])
def test_a_pnm_of_another_maximum_is_pillows_image(name, most):
    """Whose samples are as of all values of their bytes; arrays hold them as they are."""
    channels = 3 if name == b"P6" else 1
    pixels = (picture("smooth", 30, 40, channels).astype(np.uint16) * most) // 255
    pixels = pixels.astype(np.uint8 if most < 256 else ">u2")
    data = name + b"\n40 30\n%d\n" % most + pixels.tobytes()
    found = reader.read(data, "a")
    packed = idfz.compress(found, None, Effort())
    np.testing.assert_array_equal(
        np.squeeze(idfzip.decompress(packed, as_array=True)), np.squeeze(pixels)
    )
    if most < 256 or channels == 1:
        with Image.open(io.BytesIO(data)) as image:
            expected = np.asarray(image)
            back = idfzip.decompress(packed)
            np.testing.assert_array_equal(np.asarray(back), expected)


def test_a_name_that_is_a_folder_of_another_is_refused():
    image = picture("smooth", 3, 4, 1)
    with pytest.raises(FormatError, match="member a/b: it is a folder of a/b/c"):
        idfzip.pack({"a/b": image, "a/c": image, "a/b/c": image})


def test_masked_values_are_not_dropped():
    pixels = np.ma.masked_equal(picture("smooth", 3, 4, 1), picture("smooth", 3, 4, 1)[0, 0, 0])
    with pytest.raises(UnsupportedImage, match="masked values"):
        idfzip.compress(pixels)
    whole = np.ma.array(picture("smooth", 3, 4, 1))
    assert idfzip.decompress(idfzip.compress(whole)).size == (4, 3)


def test_what_is_stored_and_too_large_is_not_decoded():
    out = io.BytesIO()
    Image.new("L", (30, 40)).save(out, "GIF")
    data = idfz.store(out.getvalue(), "GIF")
    assert idfzip.decompress(data, max_pixels=1200).size == (30, 40)
    with pytest.raises(FormatError, match="the limit is 1199"):
        idfzip.decompress(data, max_pixels=1199)


def test_deep_grey_of_another_order_of_bytes_comes_back():
    pixels = (picture("smooth", 9, 11, 1)[..., 0] * np.uint16(200)).astype(">u2")
    image = Image.frombytes("I;16B", (11, 9), pixels.tobytes())
    back = idfzip.decompress(idfzip.compress(image))
    np.testing.assert_array_equal(np.asarray(back), pixels)
