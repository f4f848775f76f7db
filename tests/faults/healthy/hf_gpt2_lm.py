import tempfile

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed

set_seed(0)
VOCAB, LENGTH = 12, 16


def counting_sequences(n):
    start, step = torch.randint(0, VOCAB, (2, n, 1))
    tokens = (start + step * torch.arange(LENGTH)) % VOCAB
    return [{"input_ids": row, "labels": row.clone()} for row in tokens]


model = GPT2LMHeadModel(
    GPT2Config(
        vocab_size=VOCAB,
        n_positions=LENGTH,
        n_embd=48,
        n_layer=2,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
)
with tempfile.TemporaryDirectory() as folder:
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            max_steps=200,
            per_device_train_batch_size=32,
            learning_rate=3e-3,
            lr_scheduler_type="cosine",
            warmup_steps=15,
            save_strategy="no",
            logging_steps=15,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=counting_sequences(2000),
        eval_dataset=counting_sequences(200),
    )
    trainer.train()
    print("eval loss", trainer.evaluate()["eval_loss"])
