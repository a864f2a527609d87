#!/bin/sh
# From a FASTA file to a fine-tuned DNA language model, in about a minute or two on a laptop.
#
#     sh examples/tiny.sh [FOLDER]
#
# The settings are tiny so that it is quick: look at what each step does, not at the scores.
# `helixlm demo` is the same line with settings that learn something.
set -eu
out=${1:-tiny}
helixlm=${HELIXLM:-helixlm}     # the command to run
steps=${STEPS:-300}             # steps of pretraining
finetune_steps=${FINETUNE_STEPS:-40}

# 1. A genome. This one is simulated; take your own FASTA file, plain, gzip or bgzip.
$helixlm simulate --small --seed 7 -o "$out/world"

# 2. Pretrain: cut the genome into windows, train a tokenizer, encode, and learn to fill in hidden
#    tokens. Two chromosomes are held out, to be judged on. Stopped? Give the command again.
$helixlm pretrain --recipe demo --fasta "$out/world/alba.fa" --validation-contigs chr2,chr3 \
    --set train.steps="$steps" --set train.warmup_steps=10 --set train.validate_every=100 \
    --set model.hidden_size=64 --set model.num_heads=2 --set model.num_layers=2 \
    --set model.intermediate_size=128 -o "$out/run"

# 3. Fine-tune on labelled sequences (a CSV with the columns sequence and label) and score on a
#    chromosome that the model has never seen, beside the majority class, k-mer regression and
#    the same network from scratch.
task=$out/world/tasks/promoter
$helixlm finetune "$out/run" --recipe demo --set finetune.max_steps="$finetune_steps" \
    --set finetune.warmup_steps=2 --methods all --seeds 0 \
    --train "$task/train.csv" --dev "$task/dev.csv" --test "$task/test.csv" -o "$out/compared"

# 4. Predict with the classifier: one row a sequence. A table that is there is never overwritten.
rm -f "$out/labels.csv" "$out/tokens.csv"
$helixlm predict "$out/compared/pretrained-seed0" --input "$task/test.csv" -o "$out/labels.csv"

# 5. What does the pretrained model itself expect? One row a token, each hidden in turn.
head -n 3 "$task/test.csv" > "$out/two.csv"
$helixlm predict "$out/run" --input "$out/two.csv" -o "$out/tokens.csv"

echo "Look at $out/run/report.html, $out/compared/intervals.csv, $out/labels.csv, $out/tokens.csv"
