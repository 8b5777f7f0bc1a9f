"""Triton's interpreter without what it does again and again for nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np


def hasten():
    """Have it take less than half the time; `TRITON_INTERPRET` must be set.

    Of a step of decoding a fifth went into asserts of overflow that are dropped unless it debugs, a
    fifth into looking at every name of its language when one kernel's function calls another, which
    finds the names replaced already, a seventh into types that it knows.
    """
    from triton import language
    from triton.runtime import interpreter

    builder = interpreter.interpreter_builder
    if not builder.options.debug:
        builder.options = replace(builder.options, sanitize_overflow=False)

    replaced = lru_cache(None)(interpreter._patch_lang)  # once for each function, for good

    def call(self, *arguments, **named):
        replaced(self.fn)
        return self.rewrite()(*arguments, **named)

    interpreter.InterpretedFunction.__call__ = call

    places = np.dtype(np.uint64)
    known = lru_cache(None)(interpreter._get_np_dtype)

    def dtype(one):
        one = one.element_ty if isinstance(one, language.block_type) else one
        return places if isinstance(one, language.pointer_type) else known(one)

    interpreter._get_np_dtype = dtype

    blocks = {}
    made, written = language.block_type.with_element_ty, language.block_type.to_ir

    def with_element(self, element):
        if isinstance(element, language.pointer_type):
            return made(self, element)
        key = (self.name, element.name)
        if key not in blocks:
            blocks[key] = made(self, element)
        return blocks[key]

    def to_ir(self, builder):
        is_pointer = isinstance(self.element_ty, language.pointer_type)
        return written(self, builder) if is_pointer else self

    language.block_type.with_element_ty, language.block_type.to_ir = with_element, to_ir
