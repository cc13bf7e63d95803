"""Token ids of English text, the same for every program.

A row is [CLS], the next tokens of english.txt (Genesis 1 to 6, King James Version) and [SEP]; rows begin at different
places of the text, which goes round.
"""
import os

import numpy as np

CLS, SEP = 101, 102  # of BERT's uncased vocabulary
STRIDE = 149  # tokens between the beginnings of two rows


class Text:
    def __init__(self, tokenizer):
        from tokenizers import Tokenizer
        reader = Tokenizer.from_file(tokenizer)
        reader.no_truncation()
        with open(f"{os.path.dirname(os.path.abspath(__file__))}/english.txt") as file:
            self.ids = np.array(reader.encode(file.read(), add_special_tokens=False).ids, np.int64)

    def feed(self, lengths, pad, first=0):
        """input_ids and attention_mask, [rows, longest] int64, for rows of these lengths (2 or more)."""
        ids = np.full((len(lengths), max(lengths)), pad, np.int64)
        for row, length in enumerate(lengths):
            places = (first + row) * STRIDE + np.arange(length - 2)
            ids[row, :length] = np.concatenate([[CLS], self.ids.take(places, mode="wrap"), [SEP]])
        mask = np.arange(max(lengths))[None, :] < np.array(lengths)[:, None]
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
