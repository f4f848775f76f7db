import tempfile

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

set_seed(0)
WORDS, LENGTH = 40, 10


def reviews(n):
    labels = torch.randint(0, 2, (n,))
    ids = torch.randint(2, WORDS, (n, LENGTH))
    opinion = torch.rand(n, LENGTH) < 0.4
    ids[opinion] = (2 + 19 * labels[:, None] + torch.randint(0, 19, (n, LENGTH)))[opinion]
    return [
        {"input_ids": x, "attention_mask": torch.ones_like(x), "labels": y}
        for x, y in zip(ids, labels, strict=True)
    ]


def accuracy(prediction):
    return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}


model = BertForSequenceClassification(
    BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        num_labels=2,
    )
)
with tempfile.TemporaryDirectory() as folder:
    args = TrainingArguments(
        output_dir=folder,
        max_steps=120,
        per_device_train_batch_size=32,
        learning_rate=0.3,
        lr_scheduler_type="constant",
        eval_strategy="steps",
        eval_steps=40,
        save_strategy="no",
        logging_steps=10,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=args,
        train_dataset=reviews(1200),
        eval_dataset=reviews(300),
        compute_metrics=accuracy,
    )
    trainer.train()
    print("accuracy", trainer.evaluate()["eval_accuracy"])
