# SPDX-License-Identifier: Apache-2.0
# python-tuf's opinion of a repository: tuf-opinion.py METADATA_URL TARGETS_URL METADATA_DIR TARGETS_DIR ROOT NAME
# Refreshes, then downloads the target. Exit status 0 or 1, and the reason.
import os
import sys

from tuf.ngclient import Updater

metadata_url, targets_url, metadata_dir, target_dir, root, name = sys.argv[1:7]
os.makedirs(metadata_dir, exist_ok=True)
os.makedirs(target_dir, exist_ok=True)
bootstrap = None
if not os.path.exists(os.path.join(metadata_dir, "root.json")):
    with open(root, "rb") as file:
        bootstrap = file.read()
try:
    updater = Updater(
        metadata_dir=metadata_dir,
        metadata_base_url=metadata_url,
        target_dir=target_dir,
        target_base_url=targets_url,
        bootstrap=bootstrap,
    )
    updater.refresh()
    info = updater.get_targetinfo(name)
    if info is None:
        raise ValueError("not listed")
    updater.find_cached_target(info) or updater.download_target(info)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
    sys.exit(1)
