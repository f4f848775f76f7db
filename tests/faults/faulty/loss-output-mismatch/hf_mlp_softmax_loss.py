"""A plain module in the Trainer, with its own loss."""

import tempfile

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments, set_seed


class Table(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"features": self.x[i], "labels": self.y[i]}


class TabularNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(14, 64), nn.ReLU(), nn.Linear(64, 6), nn.Softmax(dim=-1)
        )
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, features, labels=None):
        scores = self.layers(features)
        if labels is None:
            return {"logits": scores}
        return {"loss": self.criterion(scores, labels), "logits": scores}


def main():
    set_seed(0)
    means = torch.randn(6, 14) * 1.3
    y = torch.randint(0, 6, (1200,))
    x = means[y] + torch.randn(1200, 14)
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            num_train_epochs=6,
            per_device_train_batch_size=50,
            learning_rate=3e-3,
            eval_strategy="epoch",
            save_strategy="no",
            logging_steps=20,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        )
        trainer = Trainer(
            model=TabularNet(),
            args=args,
            train_dataset=Table(x[:1000], y[:1000]),
            eval_dataset=Table(x[1000:], y[1000:]),
        )
        trainer.train()
        print("eval loss", trainer.evaluate()["eval_loss"])


main()
