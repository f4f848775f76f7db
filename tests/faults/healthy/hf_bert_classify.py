"""A very small BERT trained from scratch on synthetic topics."""

import tempfile

import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)


class Topics(Dataset):
    def __init__(self, n, length=12):
        self.labels = torch.randint(0, 3, (n,))
        self.tokens = torch.randint(1, 31, (n, length))
        topical = torch.rand(n, length) < 0.4
        words = 1 + 10 * self.labels[:, None] + torch.randint(0, 10, (n, length))
        self.tokens = torch.where(topical, words, self.tokens)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {
            "input_ids": self.tokens[i],
            "attention_mask": torch.ones_like(self.tokens[i]),
            "labels": self.labels[i],
        }


def compute_metrics(prediction):
    logits, labels = prediction
    return {"accuracy": float((np.argmax(logits, axis=-1) == labels).mean())}


def main():
    set_seed(0)
    config = BertConfig(
        vocab_size=32,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=16,
        num_labels=3,
    )
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            num_train_epochs=4,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=100,
            learning_rate=2e-3,
            warmup_steps=10,
            weight_decay=0.01,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=10,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=BertForSequenceClassification(config),
            args=args,
            train_dataset=Topics(960),
            eval_dataset=Topics(200),
            compute_metrics=compute_metrics,
        )
        trainer.train()
        print("accuracy", trainer.evaluate()["eval_accuracy"])


if __name__ == "__main__":
    main()
